"""What runs on the robot: the router, the depth networks, and the stream through them."""
