"""What ships beside the package: image, compose, chart and unit, held to the tools that will read them."""
