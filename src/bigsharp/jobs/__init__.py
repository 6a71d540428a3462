"""What is to be done with which picture, planned before any work, and done."""
