"""The pytest fixture `commonpoint_sandbox`: an alliance in memory for a merchant's own tests."""
