# Lifts the two throttles of sample-controller's main.go: the client's request rate, the number of workers.
/^\tkubeClient, err := kubernetes.NewForConfig/i\
\tcfg.QPS = 100000\
\tcfg.Burst = 100000\

s/controller\.Run(2, stopCh)/controller.Run(8, stopCh)/
