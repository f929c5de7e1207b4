# PS_APPEND_FLAGS(VARIABLE, FLAGS): those of FLAGS that the compiler knows are added to VARIABLE.
AC_DEFUN([PS_APPEND_FLAGS], [
  for ps_flag in $2; do
    AC_MSG_CHECKING([whether $CC takes $ps_flag])
    ps_saved=$CFLAGS
    CFLAGS="$CFLAGS -Werror $ps_flag"
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
      [AC_MSG_RESULT([yes]); $1="${$1} $ps_flag"], [AC_MSG_RESULT([no])])
    CFLAGS=$ps_saved
  done])

# PS_APPEND_LINK_FLAGS(VARIABLE, FLAGS): the same for the linker.
AC_DEFUN([PS_APPEND_LINK_FLAGS], [
  for ps_flag in $2; do
    AC_MSG_CHECKING([whether the linker takes $ps_flag])
    ps_saved=$LDFLAGS
    ps_saved_c=$CFLAGS
    CFLAGS="$CFLAGS -fPIE"
    LDFLAGS="$LDFLAGS $ps_flag"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
      [AC_MSG_RESULT([yes]); $1="${$1} $ps_flag"], [AC_MSG_RESULT([no])])
    LDFLAGS=$ps_saved
    CFLAGS=$ps_saved_c
  done])
