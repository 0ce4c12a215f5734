"""The subject: a Subscription's life cycle, the streams of distinct questions, and the matcher."""
