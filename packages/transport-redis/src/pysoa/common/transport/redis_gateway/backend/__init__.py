"""How Redis is reached: fixed masters, or masters that Sentinel names."""
