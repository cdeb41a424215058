FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags='-s -w' -o /hookline ./cmd/hookline

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates postgresql-15 \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o 65532 -g 65532 -m 0700 /var/lib/hookline \
 && echo 'hookline:x:65532:65532::/var/lib/hookline:/usr/sbin/nologin' >> /etc/passwd
COPY --from=build /hookline /usr/local/bin/hookline
USER 65532:65532
ENV HOOKLINE_DATA_DIR=/var/lib/hookline \
    HOOKLINE_LOG=json
VOLUME /var/lib/hookline
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=3s --start-period=20s CMD ["/usr/local/bin/hookline", "healthy"]
ENTRYPOINT ["/usr/local/bin/hookline"]
CMD ["serve"]
