# toprope in a container. Candidates run in its own sandbox there; the kernel is that of the host or of its virtual
# machine, and must have Landlock (Linux 5.13 or newer). `toprope doctor` says whether it holds:
#
#   docker build -t toprope .
#   docker run --rm toprope doctor
#   docker run --rm --user $(id -u):$(id -g) -v toprope:/state -v $PWD:/work toprope climb w2s/bank-v2 --minutes 2
#
# The volume `toprope` keeps the vault and the caches; runs lie in the present folder.
FROM python:3.13-slim
COPY . /src
RUN pip install --no-cache-dir --constraint /src/constraints.txt /src \
    && rm -rf /src \
    && mkdir -m 1777 /state
ENV HOME=/state TOPROPE_VAULT=/state/vault XDG_CACHE_HOME=/state/cache
VOLUME /state
WORKDIR /work
ENTRYPOINT ["toprope"]
CMD ["tasks"]
