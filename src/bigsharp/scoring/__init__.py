"""How a picture is made small for a test, and how the restored one is scored."""
