"""Training of a VidTwin on transformers' Trainer."""
