"""Both models' scores of a holdout by Spark's executors, in files that the gate reads.

`engine` is the story. Its names are had from `ame.scoring`, and nothing is imported here: executors import
`tasks` of this package, and have little more than pyarrow.
"""
