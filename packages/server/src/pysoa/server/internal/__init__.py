"""Parts of the server that services import for want of another place: the types of switches."""
