"""Rules of version 1 that version 2 superseded. Never edited."""
