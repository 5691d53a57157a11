"""The messages of the service's sockets, in both directions, sans-IO."""
