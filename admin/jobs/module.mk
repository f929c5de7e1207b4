libadmin_a_SOURCES += %D%/ocsp.c %D%/ocsp_post.c %D%/ocsp_post.h
libadmin_a_SOURCES += %D%/scheduler.c %D%/scheduler.h %D%/runners.c %D%/runners.h
libadmin_a_SOURCES += %D%/check_crls.c %D%/additional_watch.c %D%/additional_watch.h %D%/housekeeping.c %D%/issue_crls.c %D%/renew.c %D%/rewrap.c %D%/work_requests.c
libadmin_a_SOURCES += %D%/check_claims.c %D%/directory.c
libadmin_a_SOURCES += %D%/deliver.c %D%/deliver_build.c %D%/deliver_build.h %D%/deliver_one.c %D%/deliver_one.h
libadmin_a_SOURCES += %D%/auto_request.c %D%/make_keys.c %D%/work_bulk.c
libadmin_a_SOURCES += %D%/collect_points.c %D%/fetch_url.c %D%/heartbeat.c %D%/heartbeat.h \
	%D%/schedule_fetches.c
libadmin_a_SOURCES += %D%/acme_reply.c
libadmin_a_SOURCES += %D%/csr_mail.c %D%/revoke_at_ca.c
libadmin_a_SOURCES += %D%/idle.c %D%/idle.h %D%/ocsp_answers.c %D%/ocsp_presign.c %D%/publish.c %D%/folder_publisher.c %D%/folder_publisher.h
libadmin_a_SOURCES += %D%/renewal_advice.c
