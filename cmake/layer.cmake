# runtail_layer(<folder> <libraries...>): one static library from the folder's own .cc files.
# Files in sub-folders (agent/main) belong to whoever names them.
function(runtail_layer folder)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cc)
  add_library(runtail_${folder} STATIC ${sources})
  set_target_properties(runtail_${folder} PROPERTIES LINKER_LANGUAGE CXX)
  target_include_directories(runtail_${folder} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(runtail_${folder} PUBLIC ${ARGN})
endfunction()
