"""Everything that knows Huawei Cloud Live."""
