// Swift cannot import macros with casts in them; each wrapper below stands for the macro of the same name.
#ifndef CGSSAPI_SHIM_H
#define CGSSAPI_SHIM_H

#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <krb5/krb5.h>

// GSS_ERROR
static inline int CGSSAPI_GSS_ERROR(OM_uint32 major) { return GSS_ERROR(major) != 0; }

// GSS_C_INDEFINITE
static inline OM_uint32 CGSSAPI_GSS_C_INDEFINITE(void) { return GSS_C_INDEFINITE; }

// gss_mech_krb5, which the headers declare as const and the functions take as not
static inline gss_OID CGSSAPI_gss_mech_krb5(void) { return (gss_OID)gss_mech_krb5; }
// the same for the types of names
static inline gss_OID CGSSAPI_GSS_KRB5_NT_PRINCIPAL_NAME(void) { return (gss_OID)GSS_KRB5_NT_PRINCIPAL_NAME; }
static inline gss_OID CGSSAPI_GSS_KRB5_NT_ENTERPRISE_NAME(void) { return (gss_OID)GSS_KRB5_NT_ENTERPRISE_NAME; }
#endif
