"""The block that says where the MLflow server is and who asks there."""

from __future__ import annotations

from typing import Self

from prefect.blocks.core import Block
from pydantic import Field, SecretStr, model_validator

from ame.addresses import problem_with_server

__all__ = ["MlflowServer"]


class MlflowServer(Block):
    """An MLflow tracking server, which is the model registry, too.

    Example:
        from blocks import MlflowServer

        server = MlflowServer.load("ame")
        os.environ.update(server.variables())
    """

    _block_type_name = "MLflow Server"
    _block_type_slug = "mlflow-server"
    _description = "An MLflow tracking server with its registry, and who asks there."

    tracking_uri: str = Field(
        title="Tracking URI", description="The server's address, such as https://mlflow.example.com."
    )
    username: str | None = Field(default=None, description="For basic authentication.")
    password: SecretStr | None = Field(default=None, description="For basic authentication.")
    token: SecretStr | None = Field(default=None, description="A bearer token, instead of a user.")

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        problem = problem_with_server(self.tracking_uri)
        if problem:
            raise ValueError(f"the tracking URI {problem}")
        if bool(self.username) != bool(self.password):
            raise ValueError("a user name and a password belong together")
        if self.token and self.username:
            raise ValueError("a token is given instead of a user, not beside one")
        return self

    def variables(self) -> dict[str, str]:
        """The environment of a program that is to use this server through MLflow."""
        found = {
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "MLFLOW_TRACKING_USERNAME": self.username,
            "MLFLOW_TRACKING_PASSWORD": self.password and self.password.get_secret_value(),
            "MLFLOW_TRACKING_TOKEN": self.token and self.token.get_secret_value(),
        }
        return {name: value for name, value in found.items() if value}
