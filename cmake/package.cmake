# What `cmake --install` puts where, and the Debian package (cpack -G DEB in the build folder).
include(GNUInstallDirs)

install(TARGETS runtail runtail-exec RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# The unit for several agents on one machine is the same with names in it.
file(READ ${CMAKE_SOURCE_DIR}/systemd/runtail.service unit)
string(REPLACE "/etc/runtail/runtail.yaml" "/etc/runtail/%i.yaml" unit "${unit}")
string(REPLACE "/etc/default/runtail" "/etc/default/runtail-%i" unit "${unit}")
string(REPLACE "Description=runtail:" "Description=runtail %i:" unit "${unit}")
string(REPLACE "StateDirectory=runtail\n"
  "StateDirectory=runtail/%i\nEnvironment=RUNTAIL_BUFFER_DIRECTORY=/var/lib/runtail/%i/buffer\n" unit "${unit}")
file(WRITE ${CMAKE_BINARY_DIR}/package/runtail@.service "${unit}")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/systemd/runtail.service)

install(FILES systemd/runtail.service ${CMAKE_BINARY_DIR}/package/runtail@.service DESTINATION lib/systemd/system)
install(FILES packaging/deb/runtail.sysusers DESTINATION lib/sysusers.d RENAME runtail.conf)
install(FILES packaging/deb/runtail.lintian DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides RENAME runtail)
install(FILES packaging/deb/runtail.yaml DESTINATION /etc/runtail)
install(FILES packaging/deb/copyright DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/runtail)
install(FILES config/runtail.yaml DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/runtail/examples)
install(DIRECTORY packaging/prometheus packaging/alertmanager packaging/grafana DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/runtail/examples)

# Completion and manual pages come out of the binary itself, so they cannot be behind it.
install(CODE "
  set(to \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/share\")
  function(describe format file)
    execute_process(COMMAND $<TARGET_FILE:runtail> describe \${format} OUTPUT_FILE \${file} COMMAND_ERROR_IS_FATAL ANY)
  endfunction()
  file(MAKE_DIRECTORY \${to}/bash-completion/completions \${to}/zsh/vendor-completions \${to}/fish/vendor_completions.d
    \${to}/man/man1 \${to}/man/man5 \${to}/doc/runtail)
  describe(bash \${to}/bash-completion/completions/runtail)
  describe(zsh \${to}/zsh/vendor-completions/_runtail)
  describe(fish \${to}/fish/vendor_completions.d/runtail.fish)
  describe(man \${to}/man/man1/runtail.1)
  describe(man5 \${to}/man/man5/runtail.yaml.5)
  file(WRITE \${to}/man/man1/runtail-exec.1 \".so man1/runtail.1\\n\")
  execute_process(COMMAND gzip -9nf \${to}/man/man1/runtail.1 \${to}/man/man1/runtail-exec.1 \${to}/man/man5/runtail.yaml.5
    COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND gzip -9nc ${CMAKE_SOURCE_DIR}/packaging/deb/changelog
    OUTPUT_FILE \${to}/doc/runtail/changelog.gz COMMAND_ERROR_IS_FATAL ANY)
")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME runtail)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "the runtail authors <packages@runtail.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "run history and metrics from the output of ETL workers")
set(CPACK_PACKAGE_DESCRIPTION
  "Tails the JSON output of ETL workers, redacts it, derives runs, tasks
 and metrics, buffers durably and delivers to PostgreSQL exactly once.
 Prometheus scrapes it. Without a database it keeps the history itself.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/packaging/deb/postinst
  ${CMAKE_SOURCE_DIR}/packaging/deb/prerm ${CMAKE_SOURCE_DIR}/packaging/deb/postrm
  ${CMAKE_SOURCE_DIR}/packaging/deb/conffiles)
include(CPack)
