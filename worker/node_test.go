package worker

func runNode(spec string) int { return 1 }
