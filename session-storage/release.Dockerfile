# The image of a release: the static program and the dashboard. scripts/release.sh builds it from an unpacked archive;
# session-storage/Dockerfile builds from source.
#
# It contains no shell and no certificates. For traces or an archive over HTTPS, mount the machine's:
# --volume /etc/ssl/certs:/etc/ssl/certs:ro
FROM scratch
COPY bin/session-storage /usr/local/bin/session-storage
COPY share/session-storage/dashboard /usr/local/share/session-storage/dashboard
# An empty folder for the volume, which takes over its owner.
COPY --chown=10001:10001 empty /var/claude-sessions
ARG VERSION
LABEL org.opencontainers.image.title="session-storage" \
      org.opencontainers.image.description="A flight recorder for AI agents: sessions as files behind one journal" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}"
ENV PATH=/usr/local/bin HOST=0.0.0.0 PORT=9000 STORAGE_PATH=/var/claude-sessions \
    DASHBOARD_PATH=/usr/local/share/session-storage/dashboard
USER 10001:10001
VOLUME /var/claude-sessions
EXPOSE 9000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 CMD ["session-storage", "healthcheck"]
ENTRYPOINT ["session-storage"]
