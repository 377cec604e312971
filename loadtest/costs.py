COSTS = {}
