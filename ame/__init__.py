"""ame-flows: an ame.yml turned into Prefect flows that train, validate, test and promote models."""

__version__ = "0.5.0"
