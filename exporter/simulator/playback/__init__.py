"""What viewers of the world's streams get: HLS and HTTP-FLV that go, stand still and end with it."""
