# SPDX-License-Identifier: Apache-2.0
# A stand-in for model providers, for tests in clusters. hack/images test-provider makes the same. From the root:
#   docker build -t adaptivelive/agentkube-test-provider:v$(cat VERSION) -f tests/kubetest/provider.Dockerfile tests/kubetest
FROM debian:bookworm-slim
RUN apt-get update -q && apt-get install -q -y --no-install-recommends python3 && rm -rf /var/lib/apt/lists/*
COPY provider.py /usr/local/bin/provider
ENV PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/usr/local/bin/provider", "--listen", ":8080"]
