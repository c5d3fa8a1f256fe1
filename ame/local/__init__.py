"""The embedded servers of a laptop: started with the first command, ended with the last."""

from ame.local.home import Home, cache_folder, home_of
from ame.local.lease import current_lease, file_lock, living_leases
from ame.local.servers import Servers, failure_of, running_servers, serving

__all__ = [
    "Home",
    "Servers",
    "cache_folder",
    "current_lease",
    "failure_of",
    "file_lock",
    "home_of",
    "living_leases",
    "running_servers",
    "serving",
]
