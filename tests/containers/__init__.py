"""Image and deploy/compose.yaml: what they say (test_deploy.py), and that they work (`make containers`)."""
