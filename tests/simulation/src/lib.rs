//! Peers, networks and schedules that are not real, for tests and fuzz targets.
