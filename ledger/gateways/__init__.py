"""Card gateways: the port, and those that stand behind it."""
