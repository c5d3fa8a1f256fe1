"""Work pools: their base job templates, the Jobs that deployments get of them, and the pools of a server."""

from ame.pools.apply import Applied, apply_pools
from ame.pools.proof import prove
from ame.pools.render import render
from ame.pools.templates import base_job_template, process_template, template_files
from ame.pools.values import common_values, read_values, refuse_impossible
from ame.pools.variables import KINDS, PLACES, Kind

__all__ = [
    "KINDS",
    "PLACES",
    "Applied",
    "Kind",
    "apply_pools",
    "base_job_template",
    "common_values",
    "process_template",
    "prove",
    "read_values",
    "refuse_impossible",
    "render",
    "template_files",
]
