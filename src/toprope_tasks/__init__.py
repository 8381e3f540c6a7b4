"""The shipped task families. The core imports none of them."""
