"""The Beam jobs: fan-out, shards, manifest. The only place that imports Beam."""
