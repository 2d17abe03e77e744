# Programs whose calls out of the product go through tests/fail/faulty.c: the linker sends each call
# of faulty_calls.def there, and each door of the product that faulty.c names.
set(FAULTY_DIR ${CMAKE_CURRENT_LIST_DIR})
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${FAULTY_DIR}/faulty_calls.def
    ${FAULTY_DIR}/faulty.c)
set(FAULTY_WRAP -Wl,--wrap=mdb_env_close)
file(STRINGS ${FAULTY_DIR}/faulty_calls.def lines REGEX "^FAULTY_")
foreach(line ${lines})
    string(REGEX REPLACE "^FAULTY_[A-Z]+.([a-zA-Z0-9_]+),.*" "\\1" name "${line}")
    list(APPEND FAULTY_WRAP -Wl,--wrap=${name})
endforeach()
file(STRINGS ${FAULTY_DIR}/faulty.c lines REGEX "^DOOR(_VOID)?[(]")
foreach(line ${lines})
    string(REGEX REPLACE "^DOOR[(][a-z]+, ([a-z_]+),.*" "\\1" name "${line}")
    string(REGEX REPLACE "^DOOR_VOID[(]([a-z_]+),.*" "\\1" name "${name}")
    list(APPEND FAULTY_WRAP -Wl,--wrap=${name})
endforeach()

# With the helpers that it needs of other folders.
function(isthmus_faulty_program name)
    add_executable(fail_${name} ${FAULTY_DIR}/test_${name}.c ${FAULTY_DIR}/faulty.c ${ARGN})
    target_link_libraries(fail_${name} PRIVATE api PkgConfig::LMDB PkgConfig::SSL PkgConfig::CMOCKA)
    target_link_options(fail_${name} PRIVATE ${FAULTY_WRAP})
    target_compile_definitions(fail_${name} PRIVATE SOURCE_DIR="${CMAKE_SOURCE_DIR}"
        ISTHMUS_BINARY="$<TARGET_FILE:isthmus>")
    add_test(NAME fail/fail_${name} COMMAND fail_${name})
    set_tests_properties(fail/fail_${name} PROPERTIES LABELS fail TIMEOUT 300)
endfunction()

isthmus_faulty_program(store_open)
isthmus_faulty_program(store_commit)

set(FAULTY_LOOPBACK ${FAULTY_DIR}/../loopback)
set(FAULTY_WORLD ${FAULTY_DIR}/journey.c ${FAULTY_LOOPBACK}/gateway.c
    ${FAULTY_LOOPBACK}/component_server.c ${FAULTY_LOOPBACK}/sip_peer.c
    ${FAULTY_LOOPBACK}/stream_peer.c ${CMAKE_SOURCE_DIR}/bench/load/free_ports.c)
isthmus_faulty_program(ports_journeys ${FAULTY_WORLD})
isthmus_faulty_program(ports_start)
isthmus_faulty_program(ports_lasting ${FAULTY_WORLD})
