"""Request and callback signatures of the four clouds: pure functions, one algorithm per file."""
