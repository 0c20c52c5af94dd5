"""What viewers get: fetches the addresses that they use, HLS and HTTP-FLV, beside scrapes, and judges what comes."""
