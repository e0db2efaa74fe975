"""What both transports share where they touch the network: deadlines, proxies, what can go wrong on the way, what libraries log."""
