"""Random faults under mixed load: no accepted event is lost, no call hangs, and health checks are right."""
