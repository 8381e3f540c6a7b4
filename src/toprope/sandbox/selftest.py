def best_tier():
    return "linux-landlock"
