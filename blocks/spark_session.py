"""The block that says where Spark's executors come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from prefect.blocks.core import Block
from prefect.types import SecretDict
from pydantic import Field, model_validator

from ame.spark.settings import SparkSettings, is_secret_property, problems_with

__all__ = ["SparkSession"]


class SparkSession(Block):
    """What a Spark session is made with: its master, its executors, and properties that are secret.

    It holds settings and no session, so that loading it starts nothing and needs no pyspark.

    Example:
        from ame.spark import open_session
        from blocks import SparkSession

        block = SparkSession.load("ame")
        with open_session(block.settings()) as spark:
            spark.range(10).count()
    """

    _block_type_name = "Spark Session"
    _block_type_slug = "spark-session"
    _description = "A Spark master, how large its executors are, and properties of the sessions on it."

    master: str | None = Field(
        default=None,
        description="local[*], spark://host:7077, k8s (the cluster that a run is in), "
        "k8s://https://host:6443 or yarn. Empty: the session that is active, else local[*].",
    )
    executors: int | None = Field(default=None, description="How many executors.")
    cores: int | None = Field(default=None, description="Cores of one executor.")
    memory: str | None = Field(default=None, description="Memory of one executor, such as 8G or 4Gi.")
    image: str | None = Field(default=None, description="Image of the executors on Kubernetes.")
    archive: str | None = Field(
        default=None,
        description="A packed environment (venv-pack, conda-pack) for the executors, as a path or a URI.",
    )
    conf: dict[str, str] = Field(default_factory=dict, description="Further Spark properties; no secrets.")
    # Not a dict of SecretStr: Prefect's server would show its values.
    secret_conf: SecretDict = Field(
        default_factory=lambda: SecretDict({}),
        title="Secret properties",
        description="Spark properties whose values are secret.",
    )

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        problems = list(problems_with(self.settings()))
        if problems:
            raise ValueError(" ".join(problems))
        plain = sorted(key for key in self.conf if is_secret_property(key))
        if plain:
            raise ValueError(f"{', '.join(plain)} in conf look secret: give them under secret properties")
        if twice := sorted(self.conf.keys() & self.secret_conf.get_secret_value().keys()):
            raise ValueError(f"{', '.join(twice)} stand both in conf and in the secret properties")
        return self

    @classmethod
    def of(cls, settings: SparkSettings, secret_conf: Mapping[str, str]) -> Self:
        """The block that gives these settings.

        Raises:
            ValueError: where they contradict each other.
        """
        return cls(
            master=settings.master,
            executors=settings.executors,
            cores=settings.cores,
            memory=settings.memory,
            image=settings.image,
            archive=settings.archive,
            conf=dict(settings.conf),
            secret_conf=SecretDict(dict(secret_conf)),
        )

    def settings(self) -> SparkSettings:
        """For `ame.spark.open_session`; the properties in a fixed order, the secret ones among them."""
        hidden = self.secret_conf.get_secret_value()
        properties = self.conf | {key: str(value) for key, value in hidden.items()}
        return SparkSettings(
            master=self.master or None,
            executors=self.executors,
            cores=self.cores,
            memory=self.memory or None,
            image=self.image or None,
            archive=self.archive or None,
            conf=tuple(sorted(properties.items())),
        )
