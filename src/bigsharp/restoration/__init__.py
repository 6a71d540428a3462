"""From a small picture to a large and sharp one."""
