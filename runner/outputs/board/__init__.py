"""A family: manifest, lock and plan → the storyboard as one HTML page, and what a change to it changed."""
