"""The command line: `commonpoint`. One file a command; what is heavy is imported when its command runs."""
