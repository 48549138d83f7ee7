"""One replica of a population."""

from sascli.core.network import FeedForward


def alone(network: FeedForward, replica: int) -> FeedForward:
    """A copy of one replica."""
    return network.select(slice(replica, replica + 1))
