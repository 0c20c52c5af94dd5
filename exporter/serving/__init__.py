"""The web server: its paths, its pages, and the running parts behind them."""
