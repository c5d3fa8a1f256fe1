"""The words of a model's `abTest`; the numbers' defaults are those of the gate."""

from __future__ import annotations

from ame.gate.config import METRICS_OF, ABTest
from ame.spec.grammar import Choice, Key, ListOf, Number, OneOf, Shape, Whole
from ame.spec.words.spark import SPARK
from ame.spec.words.tasks import RESOURCES, TARGET
from ame.spec.words.values import NOT_BLANK, ROWS_PATH, TABLE, TEXT, URI

__all__ = ["AB_TEST", "AB_TEST_DATA", "AB_TEST_TRAINING", "MARGIN", "SCORING"]

_GATE = ABTest(label="")
_MOST_ROWS = 10**9
_SPLIT = "For logged traffic, of which each row was answered by one model, use `ame ab-test --design split`."
_ENGINES = Choice(("auto", "local", "spark"))
_METRIC = Choice(tuple(dict.fromkeys(name for names in METRICS_OF.values() for name in names)))

_DATA_SET = Key(TARGET, "A data set, made by its task if need be; `PROJECT.NAME` for one of another project.")
_PATH = Key(ROWS_PATH, "A file or folder, relative to the project's folder and inside it.")
_URI = Key(
    URI,
    "A file or folder in S3 or what speaks like it, `s3://BUCKET/PREFIX`; `s3a://` and `s3n://` are other "
    "words for it. Keys and the endpoint come from the environment or from the artifact store's block, "
    "never from the file.",
)
AB_TEST_DATA = Shape(
    "rows",
    "Where the rows of a holdout are.",
    {
        "dataSet": _DATA_SET,
        "path": _PATH,
        "uri": _URI,
        "table": Key(
            TABLE,
            "A table that Spark's catalogs know, such as `catalog.schema.table`; read by Spark only. Rows "
            "in HDFS, in Google's or Azure's storage are read as such a table.",
        ),
    },
    one_of=("dataSet", "path", "uri", "table"),
)
AB_TEST_TRAINING = Shape(
    "trainingRows",
    "Where the rows are that models are trained on.",
    {"dataSet": _DATA_SET, "path": _PATH, "uri": _URI},
    withheld={"table": "Write its rows as parquet, and name them with `path` or `uri`."},
    one_of=("dataSet", "path", "uri"),
)
MARGIN = Shape(
    "margin",
    "A metric and the difference that matters on it.",
    {
        "metric": Key(_METRIC, "The metric's name.", required=True),
        "margin": Key(Number(least=0), "The difference, in the metric's own unit.", default=0.0),
    },
)
SCORING = Shape(
    "scoring",
    "How versions are scored.",
    {
        "environment": Key(
            Choice(("model", "current"), withheld={"training": "Write `environment: model`."}),
            "`model`, the one that the version was logged with, or `current`, the one that runs ame-flows. "
            "On Spark the executors' environment scores, so that it is left out.",
            default="model",
        ),
        "engine": Key(
            _ENGINES,
            "Where versions are scored: `local`, `spark`, or `auto`, which is where the numbers are "
            "computed.",
            default="auto",
        ),
    },
)


def _rows(about: str, default: int) -> Key:
    return Key(Whole(2, _MOST_ROWS), about, default=default)


AB_TEST = Shape(
    "abTest",
    "The comparison of a new version with the champion on rows that both score.",
    {
        "data": Key(AB_TEST_DATA, "The holdout, parquet or csv.", required=True),
        "label": Key(NOT_BLANK, "The column with the truth: 0 or 1, a class, or a number.", required=True),
        "task": Key(
            Choice(tuple(METRICS_OF)),
            "`binary` (scores are the probability of class 1), `multiclass` (a probability for each class) "
            "or `regression` (a number).",
            default=_GATE.task,
        ),
        "design": Key(
            Choice(("paired",), withheld={"split": _SPLIT}),
            "`paired`: both versions score every row. Logged traffic, of which each row was answered by one "
            "model, is compared by `ame ab-test --design split`.",
            default=_GATE.design,
        ),
        "features": Key(
            ListOf(TEXT),
            "The columns that the models get; without a signature all but `label`, `entity`, `row` and "
            "`time`.",
            otherwise="the model signature's inputs",
        ),
        "classes": Key(
            ListOf(TEXT),
            "The labels in the order of the scores, for `multiclass`; numbers, or texts in quotes where "
            "they look like numbers.",
            otherwise="what the models say",
        ),
        "entity": Key(
            NOT_BLANK, "A column; rows of one entity depend on each other, and errors are summed by it."
        ),
        "row": Key(
            NOT_BLANK,
            "A column that tells rows apart; finds duplicates, rows that the training has seen, and a "
            "holdout used before.",
            otherwise="all columns together",
        ),
        "time": Key(NOT_BLANK, "A column with each row's time; with `training`, the holdout must be newer."),
        "training": Key(
            AB_TEST_TRAINING,
            "The rows that the models are trained on, named like `data` but for `table`. The holdout is "
            "compared with them: rows seen in training, drift of each column, a column that gives the label "
            "away.",
        ),
        "scoring": Key(SCORING, "How versions are scored."),
        "resources": Key(RESOURCES, "What the comparison needs; on Spark this is the driver's process."),
        "engine": Key(
            _ENGINES,
            "Where the numbers are computed: `local`, `spark`, or `auto`, which chooses by the number of "
            "rows and says so. They are the same numbers.",
            default="auto",
        ),
        "spark": Key(
            SPARK, "The session and its executors.", otherwise="the session that is there, or this machine"
        ),
        "primary": Key(
            MARGIN,
            "The metric that decides, and by how much more than which the challenger must be better.",
            otherwise="the task's first metric, `margin: 0`",
        ),
        "guardrails": Key(ListOf(MARGIN), "Metrics that must not get worse by their margin or more."),
        "metrics": Key(ListOf(_METRIC), "Metrics that are only reported."),
        "slices": Key(
            OneOf((NOT_BLANK, ListOf(TEXT))),
            "A column or a list of them; in none of their values may the primary metric be shown to get "
            "worse (one-sided tests with Holm's correction). At most 100 values a column.",
        ),
        "sliceMargin": Key(
            Number(least=0),
            "By how much the primary metric may get worse in a slice.",
            default=_GATE.slice_margin,
        ),
        "alpha": Key(
            Number(above=0, below=0.5),
            "The one-sided probability of promoting a challenger that is not better.",
            default=_GATE.alpha,
        ),
        "looks": Key(Whole(1, 10_000), "How often one holdout may be used.", otherwise="any number of times"),
        "power": Key(
            Number(least=0.5, below=1),
            "For the minimum detectable effect and the rows needed.",
            default=_GATE.power,
        ),
        "threshold": Key(
            Number(above=0, most=1),
            "For `accuracy`, `f1`, `precision` and `recall` of a binary task: from which probability on a "
            "row counts as predicted positive.",
            default=_GATE.threshold,
        ),
        "quantile": Key(
            Number(above=0, below=1),
            "For `pinball`: which quantile the models predict.",
            default=_GATE.quantile,
        ),
        "minPositives": _rows(
            "The fewest rows in the smallest class; with fewer the test is invalid.", _GATE.min_positives
        ),
        "minSliceRows": _rows("The fewest rows of a slice that is judged.", _GATE.min_slice_rows),
        "minSlicePositives": _rows(
            "The fewest rows in the smallest class of a slice that is judged.", _GATE.min_slice_positives
        ),
        "maxDuplicates": Key(
            Number(least=0, most=1),
            "The share of rows that may repeat another row. With `row`, more of them make the test invalid; "
            "without it, rows that are alike in every column are warned of, because different cases may "
            "look alike.",
            default=_GATE.max_duplicates,
        ),
        "maxOverlap": Key(
            Number(least=0, most=1),
            "The share of rows that the training may have seen; goes with `training`.",
            default=_GATE.max_overlap,
        ),
    },
    withheld=dict.fromkeys(("variant", "share", "sampleRatioAlpha"), _SPLIT),
)
