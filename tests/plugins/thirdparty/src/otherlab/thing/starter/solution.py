def believe(tosses, *, params):
    weight, last = params.get("weight", 0.0), params.get("last", 1.0)
    return 0.5 + (weight * (tosses[:, :2].mean(axis=1) - 0.5) + last * (tosses[:, 2] - 0.5)) / 2
