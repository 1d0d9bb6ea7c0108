# Files that travel inside the binary: default config, dialects, rules, SQL.
# runtail_embed(<layer> <name> <file>): `std::string_view runtail::embedded::<name>()`.
# runtail_embed_folder(<layer> <name> <folder> <suffix>): `std::span<const File> runtail::embedded::<name>()`, sorted by name.
# Both are declared in core/embedded.h.
set(RUNTAIL_EMBED_SCRIPT ${CMAKE_SOURCE_DIR}/cmake/embed_script.cmake)

function(runtail_embed layer name file)
  set(out ${CMAKE_BINARY_DIR}/embedded/${name}.cc)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DOUT=${out} -DKIND=file -DFILES=${CMAKE_SOURCE_DIR}/${file} -P ${RUNTAIL_EMBED_SCRIPT}
    DEPENDS ${CMAKE_SOURCE_DIR}/${file} ${RUNTAIL_EMBED_SCRIPT} VERBATIM)
  target_sources(runtail_${layer} PRIVATE ${out})
endfunction()

function(runtail_embed_folder layer name folder suffix)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.${suffix})
  list(SORT files)
  set(out ${CMAKE_BINARY_DIR}/embedded/${name}.cc)
  string(REPLACE ";" "|" joined "${files}")
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DOUT=${out} -DKIND=folder "-DFILES=${joined}" -P ${RUNTAIL_EMBED_SCRIPT}
    DEPENDS ${files} ${RUNTAIL_EMBED_SCRIPT} VERBATIM)
  target_sources(runtail_${layer} PRIVATE ${out})
endfunction()
