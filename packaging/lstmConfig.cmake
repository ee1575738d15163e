# find_package(lstm) gives the imported target lstm::lstm (shared) and lstm::static. Paths follow this file.
get_filename_component(_lstm_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

if(NOT TARGET lstm::lstm)
  add_library(lstm::lstm SHARED IMPORTED)
  set_target_properties(lstm::lstm PROPERTIES
    IMPORTED_LOCATION "${_lstm_prefix}/lib/liblstm.so.1"
    IMPORTED_SONAME "liblstm.so.1"
    INTERFACE_INCLUDE_DIRECTORIES "${_lstm_prefix}/include")

  add_library(lstm::static STATIC IMPORTED)
  set_target_properties(lstm::static PROPERTIES
    IMPORTED_LOCATION "${_lstm_prefix}/lib/liblstm.a"
    IMPORTED_LINK_INTERFACE_LANGUAGES C
    INTERFACE_LINK_LIBRARIES m
    INTERFACE_INCLUDE_DIRECTORIES "${_lstm_prefix}/include")
endif()
unset(_lstm_prefix)
