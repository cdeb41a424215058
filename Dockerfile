# Two stages: build, and a small image with the program and PostgreSQL's programs for the embedded default. It runs as
# an ordinary user and writes below /var/lib/hookline only. To try it (without mail nobody can sign up, so the second
# line makes a business, connected to the sandbox inside):
#   docker run --name hookline --read-only --tmpfs /tmp -v hookline:/var/lib/hookline -p 127.0.0.1:8080:8080 \
#     -e HOOKLINE_BASE_URL=http://127.0.0.1:8080 -e SMTP_URL=off hookline
#   docker exec hookline hookline tenant create --name Acme --owner you@example.com --password '…' --connect-sandbox
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags='-s -w' -o /hookline ./cmd/hookline

FROM debian:bookworm-slim
RUN mkdir -p /etc/postgresql-common \
 && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf \
 && apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates postgresql-15 \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o 65532 -g 65532 -m 0700 /var/lib/hookline \
 && echo 'hookline:x:65532:65532::/var/lib/hookline:/usr/sbin/nologin' >> /etc/passwd
COPY --from=build /hookline /usr/local/bin/hookline
USER 65532:65532
ENV HOOKLINE_ADDR=0.0.0.0:8080 \
    HOOKLINE_DATA_DIR=/var/lib/hookline \
    HOOKLINE_LOG=json
VOLUME /var/lib/hookline
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=3s --start-period=20s CMD ["/usr/local/bin/hookline", "healthy"]
ENTRYPOINT ["/usr/local/bin/hookline"]
CMD ["serve"]
