// SPDX-License-Identifier: Apache-2.0
package main

// cluster-dns: an authoritative DNS server for the cluster domain, fed by
// watches on Services and Endpoints (Kubernetes DNS spec 1.1).

import (
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

type dnsServer struct {
	domain  string // with trailing dot
	ttl     uint32
	hosts   map[string]net.IP
	forward string
	svcs    listers.ServiceLister
	eps     listers.EndpointsLister
	synced  []cache.InformerSynced
}

func runDNS(args []string) error {
	fs := flag.NewFlagSet("cluster-dns", flag.ExitOnError)
	kubeconfig := fs.String("kubeconfig", "", "kubeconfig file")
	listen := fs.String("listen", "127.0.0.1:53", "address to serve UDP and TCP on")
	domain := fs.String("domain", "cluster.local", "cluster domain")
	hosts := fs.String("hosts", "", "extra records: name=ip,...")
	forward := fs.String("forward", "", "upstream host:port for other names; without it they do not exist")
	fs.Parse(args)
	cfg, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	f := informers.NewSharedInformerFactory(client, 0)
	s := &dnsServer{domain: dns.Fqdn(strings.ToLower(*domain)), ttl: 5, hosts: map[string]net.IP{}, forward: *forward,
		svcs: f.Core().V1().Services().Lister(), eps: f.Core().V1().Endpoints().Lister()}
	for _, h := range strings.Split(*hosts, ",") {
		if kv := strings.SplitN(h, "=", 2); len(kv) == 2 {
			s.hosts[dns.Fqdn(strings.ToLower(kv[0]))] = net.ParseIP(kv[1])
		}
	}
	s.synced = []cache.InformerSynced{f.Core().V1().Services().Informer().HasSynced, f.Core().V1().Endpoints().Informer().HasSynced}
	f.Start(make(chan struct{}))
	errs := make(chan error)
	for _, n := range []string{"udp", "tcp"} {
		srv := &dns.Server{Addr: *listen, Net: n, Handler: s}
		go func() { errs <- srv.ListenAndServe() }()
	}
	fmt.Fprintf(os.Stderr, "cluster-dns: serving %s on %s\n", s.domain, *listen)
	return <-errs
}

func (s *dnsServer) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(r)
	m.Authoritative = true
	defer func() {
		size := dns.MinMsgSize
		if _, tcp := w.RemoteAddr().(*net.TCPAddr); tcp {
			size = dns.MaxMsgSize
		} else if o := r.IsEdns0(); o != nil && int(o.UDPSize()) > size {
			size = int(o.UDPSize())
		}
		fit(m, size)
		w.WriteMsg(m)
	}()
	if len(r.Question) != 1 {
		m.Rcode = dns.RcodeFormatError
		return
	}
	for _, ok := range s.synced {
		if !ok() {
			m.Rcode = dns.RcodeServerFailure
			return
		}
	}
	s.resolve(m, r, r.Question[0], 0)
}

func (s *dnsServer) resolve(m, r *dns.Msg, q dns.Question, depth int) {
	name := strings.ToLower(q.Name)
	if ip, ok := s.hosts[name]; ok {
		s.addA(m, q, q.Name, ip)
		return
	}
	switch {
	case name == s.domain || strings.HasSuffix(name, "."+s.domain):
		if !s.cluster(m, q, strings.TrimSuffix(strings.TrimSuffix(name, s.domain), ".")) {
			m.Rcode = dns.RcodeNameError
		}
		// stub resolvers do not follow a CNAME themselves: the target's addresses belong in the answer
		if n := len(m.Answer); n > 0 && depth < 8 && q.Qtype != dns.TypeCNAME {
			if c, ok := m.Answer[n-1].(*dns.CNAME); ok {
				s.resolve(m, r, dns.Question{Name: c.Target, Qtype: q.Qtype, Qclass: q.Qclass}, depth+1)
			}
		}
	case strings.HasSuffix(name, ".in-addr.arpa.") && s.reverse(m, q, name):
	case s.forward != "":
		c := &dns.Client{Timeout: 3 * time.Second}
		ask := new(dns.Msg)
		ask.SetQuestion(q.Name, q.Qtype)
		up, _, err := c.Exchange(ask, s.forward)
		if err != nil {
			m.Rcode = dns.RcodeServerFailure
			return
		}
		m.Authoritative, m.RecursionAvailable, m.Rcode = false, true, up.Rcode
		m.Answer = append(m.Answer, up.Answer...)
		return
	default:
		m.Rcode = dns.RcodeNameError
	}
	if len(m.Answer) == 0 {
		m.Ns = append(m.Ns, &dns.SOA{Hdr: dns.RR_Header{Name: s.domain, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: s.ttl},
			Ns: "ns.dns." + s.domain, Mbox: "hostmaster." + s.domain, Serial: uint32(time.Now().Unix()), Refresh: 7200, Retry: 1800, Expire: 86400, Minttl: s.ttl})
	}
}

// cluster answers a name within the cluster domain; false: no such name.
func (s *dnsServer) cluster(m *dns.Msg, q dns.Question, rel string) bool {
	if rel == "" {
		return true
	}
	l := strings.Split(rel, ".")
	n := len(l)
	if l[n-1] == "pod" && n == 3 {
		ip := net.ParseIP(strings.Replace(l[0], "-", ".", -1))
		if ip == nil {
			return false
		}
		s.addA(m, q, q.Name, ip)
		return true
	}
	if l[n-1] != "svc" {
		return rel == "pod"
	}
	switch n {
	case 1:
		return true
	case 2:
		all, _ := s.svcs.Services(l[0]).List(labels.Everything())
		return len(all) > 0
	}
	svc, err := s.svcs.Services(l[n-2]).Get(l[n-3])
	if err != nil {
		return false
	}
	full := l[n-3] + "." + l[n-2] + ".svc." + s.domain
	if svc.Spec.Type == corev1.ServiceTypeExternalName {
		if n != 3 {
			return false
		}
		m.Answer = append(m.Answer, &dns.CNAME{Hdr: s.hdr(q.Name, dns.TypeCNAME), Target: dns.Fqdn(svc.Spec.ExternalName)})
		return true
	}
	headless := svc.Spec.ClusterIP == corev1.ClusterIPNone
	var ends []end
	if headless {
		ends = s.endpoints(svc)
	}
	switch {
	case n == 3 && !headless:
		s.addA(m, q, q.Name, net.ParseIP(svc.Spec.ClusterIP))
		return true
	case n == 3:
		seen := map[string]bool{}
		for _, e := range ends {
			if !seen[e.ip.String()] {
				seen[e.ip.String()] = true
				s.addA(m, q, q.Name, e.ip)
			}
		}
		return len(ends) > 0
	case n == 4 && headless:
		found := false
		for _, e := range ends {
			if e.host == l[0] && !found {
				s.addA(m, q, q.Name, e.ip)
				found = true
			}
		}
		return found
	case n == 5 && strings.HasPrefix(l[0], "_") && strings.HasPrefix(l[1], "_"):
		port, proto, found := l[0][1:], l[1][1:], false
		if !headless {
			for _, p := range svc.Spec.Ports {
				if strings.EqualFold(p.Name, port) && strings.EqualFold(string(p.Protocol), proto) {
					found = true
					s.addSRV(m, q, full, p.Port, net.ParseIP(svc.Spec.ClusterIP))
				}
			}
		}
		for _, e := range ends {
			if strings.EqualFold(e.port, port) && strings.EqualFold(e.proto, proto) {
				found = true
				s.addSRV(m, q, e.host+"."+full, e.num, e.ip)
			}
		}
		return found
	}
	return false
}

type end struct {
	host, port, proto string
	num               int32
	ip                net.IP
}

func (s *dnsServer) endpoints(svc *corev1.Service) (out []end) {
	ep, err := s.eps.Endpoints(svc.Namespace).Get(svc.Name)
	if err != nil {
		return nil
	}
	for _, sub := range ep.Subsets {
		addrs := sub.Addresses
		if svc.Spec.PublishNotReadyAddresses {
			addrs = append(append([]corev1.EndpointAddress{}, addrs...), sub.NotReadyAddresses...)
		}
		for _, a := range addrs {
			host := a.Hostname
			if host == "" {
				host = strings.Replace(a.IP, ".", "-", -1)
			}
			e := end{host: host, ip: net.ParseIP(a.IP)}
			if len(sub.Ports) == 0 {
				out = append(out, e)
			}
			for _, p := range sub.Ports {
				e.port, e.proto, e.num = p.Name, string(p.Protocol), p.Port
				out = append(out, e)
			}
		}
	}
	return out
}

func (s *dnsServer) reverse(m *dns.Msg, q dns.Question, name string) bool {
	p := strings.Split(strings.TrimSuffix(name, ".in-addr.arpa."), ".")
	if len(p) != 4 {
		return false
	}
	ip := p[3] + "." + p[2] + "." + p[1] + "." + p[0]
	all, _ := s.svcs.List(labels.Everything())
	for _, svc := range all {
		full := svc.Name + "." + svc.Namespace + ".svc." + s.domain
		target := ""
		if svc.Spec.ClusterIP == ip {
			target = full
		} else if svc.Spec.ClusterIP == corev1.ClusterIPNone {
			for _, e := range s.endpoints(svc) {
				if e.ip.String() == ip {
					target = e.host + "." + full
				}
			}
		}
		if target != "" {
			if q.Qtype == dns.TypePTR || q.Qtype == dns.TypeANY {
				m.Answer = append(m.Answer, &dns.PTR{Hdr: s.hdr(q.Name, dns.TypePTR), Ptr: target})
			}
			return true
		}
	}
	return false
}

func (s *dnsServer) hdr(name string, t uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: t, Class: dns.ClassINET, Ttl: s.ttl}
}

func (s *dnsServer) addA(m *dns.Msg, q dns.Question, name string, ip net.IP) {
	if ip != nil && ip.To4() != nil && (q.Qtype == dns.TypeA || q.Qtype == dns.TypeANY) {
		m.Answer = append(m.Answer, &dns.A{Hdr: s.hdr(name, dns.TypeA), A: ip.To4()})
	}
}

func (s *dnsServer) addSRV(m *dns.Msg, q dns.Question, target string, port int32, ip net.IP) {
	if q.Qtype != dns.TypeSRV && q.Qtype != dns.TypeANY {
		return
	}
	m.Answer = append(m.Answer, &dns.SRV{Hdr: s.hdr(q.Name, dns.TypeSRV), Priority: 0, Weight: 100, Port: uint16(port), Target: target})
	m.Extra = append(m.Extra, &dns.A{Hdr: s.hdr(target, dns.TypeA), A: ip.To4()})
}

// fit drops records until the message fits (the vendored miekg/dns has no Truncate).
func fit(m *dns.Msg, size int) {
	m.Compress = true
	for m.Len() > size {
		switch {
		case len(m.Extra) > 0:
			m.Extra = m.Extra[:len(m.Extra)-1]
		case len(m.Answer) > 0:
			m.Truncated = true
			m.Answer = m.Answer[:len(m.Answer)-1]
		default:
			return
		}
	}
}
