"""From an event to its receiver: claims, notifications, the retry schedule, channels and outgoing HTTP."""
