"""Processes that decide on versions until they are killed: a delivery without Prefect, training or test."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections.abc import Sequence

from mlflow import MlflowClient

from ame.registry import (
    DECIDED,
    ChampionMoved,
    Claim,
    ClaimLost,
    Draft,
    Holder,
    ModelJournal,
    Registry,
    Silence,
    Version,
    make_claim,
)

__all__ = ["CONTEXT", "decide_until_killed", "draft_of", "register"]

#: Its processes are forked from one that has imported MLflow already.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["mlflow", "ame.registry", __name__])


def register(client: MlflowClient, model: str, versions: int) -> None:
    client.create_registered_model(model)
    for number in range(versions):
        client.create_model_version(model, f"s3://bucket/{number}", await_creation_for=0)


def draft_of(version: Version, champion: str | None) -> Draft:
    """Promote two of three versions, and reject the third."""
    promoted = champion is None or int(version.number) % 3 != 0
    return Draft(
        decision="promote" if promoted else "reject",
        version=version.number,
        before=champion,
        after=version.number if promoted else champion,
        runner_up=champion if promoted else None,
        state="promoted" if promoted else "rejected",
        by=f"process {os.getpid()}",
        reason="two of three are promoted",
    )


def decide_until_killed(uri: str, models: Sequence[str], seconds_between_claims: float) -> None:
    """Decide on the oldest version of a random model, again and again."""
    os.environ["AME_CLAIM_SECONDS"] = str(seconds_between_claims)
    registry = Registry(uri)
    silences = {model: Silence() for model in models}
    holder = Holder(f"process {os.getpid()}", None, "deciding")
    while True:
        model = random.choice(models)  # noqa: S311 - no secret
        journal = ModelJournal(registry, model)
        link = journal.chain.begun()
        if link.claim and not silences[model].look(link):
            time.sleep(0.02)
            continue
        claim = make_claim(journal.chain, link, holder)
        if claim is None:
            continue
        with claim:
            try:
                _decide_next(journal, claim)
                claim.release()
            except (ClaimLost, ChampionMoved):
                continue


def _decide_next(journal: ModelJournal, claim: Claim) -> None:
    journal.settle(claim, "a test")
    waiting = [each for each in journal.registry.versions(journal.model) if each.state not in DECIDED]
    if waiting:
        journal.decide(claim, draft_of(waiting[0], journal.registry.champion(journal.model)))
